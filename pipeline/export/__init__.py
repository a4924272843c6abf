"""An aligned judge as a file for other programs: `blpo export`, one format per file."""
