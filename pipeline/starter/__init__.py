"""First steps: files of a project (`blpo init`), a run with a real judge (`blpo demo --real`)."""
