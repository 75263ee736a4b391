"""Protocol engines and codecs: bytes, commands and time in; bytes, events and a deadline out."""
