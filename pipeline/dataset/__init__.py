"""The images, tags and masks a user owns, or a generated set: read and checked."""
