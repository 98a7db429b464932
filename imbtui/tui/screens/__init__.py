"""Screens, one file each. `app.py` lists this folder: a file states its KEY, its TITLE and what builds it."""
