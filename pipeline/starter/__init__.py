"""The first task file and run file of a project: `blpo init`."""
