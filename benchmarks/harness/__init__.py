"""How rows are measured, kept and shown."""
