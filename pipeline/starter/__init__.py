"""First steps: a project's task file and run file (`blpo init`), a real judge (`blpo demo --real`)."""
