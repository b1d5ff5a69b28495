"""Parse XML files. A file may come from anybody, so it may not define entities."""

import xml.etree.ElementTree as ET
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.core.tables import read_text


def read_xml(path: Path, *, hint: str) -> ET.Element:
    """Parse an XML file in UTF-8, and return its root.

    A document type is refused. It can define entities that expand to gigabytes, or that name other
    files. Annotations need none.

    Args:
        path: the file.
        hint: what to do if the file is missing.

    Raises:
        UserError: the file is missing, cannot be read, is not UTF-8, is not valid XML, or has a
            document type.
    """
    text = read_text(path, hint=hint)
    if "<!DOCTYPE" in text:
        raise UserError(f"{path}: has a document type; delete <!DOCTYPE ...> from the file")
    try:
        return ET.fromstring(text)  # of a text, the parser ignores a declared encoding
    except ET.ParseError as e:
        raise UserError(f"{path}: not valid XML; replace the file ({e})") from e
