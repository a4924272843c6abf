"""The documentation: a page per subject, installed for `blpo docs`."""
