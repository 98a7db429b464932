"""The dashboard. `app.py` finds the screens, `live.py` polls; a screen or a widget is one file each."""
