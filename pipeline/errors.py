"""The one error family that people meet as a line, not as a traceback."""


class UserError(Exception):
    """Bad input: the message names the file or the param, and the fix."""
