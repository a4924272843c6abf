"""Tables and image folders as they lie on a disk, read row by row: no roles, no labels, no task."""
