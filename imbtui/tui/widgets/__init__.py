"""Widgets, one file each, with their style and their keys."""
