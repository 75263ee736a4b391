"""The journal and the commands, kept. `ports` is what the core asks for, `memory` and `sql` keep it."""
