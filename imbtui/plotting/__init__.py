"""Curves as text, for the shell and the dashboard."""
