"""Questions and notices on top of a screen, one file each."""
