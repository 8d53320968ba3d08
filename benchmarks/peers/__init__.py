"""Others' code for the same, where it is more than a few lines to call."""
