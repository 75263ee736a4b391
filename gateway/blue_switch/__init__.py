"""Blue Switch: cars lent to shelters, from the agreement to the audit report.

Pure: values and time in, values and events out. Files are read by `files.py`; MQTT and the API belong to other rooms.
"""
