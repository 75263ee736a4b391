"""The languages of the charging world: bytes, commands and time go in; bytes, events and a deadline come out."""
