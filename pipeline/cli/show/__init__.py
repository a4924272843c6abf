"""What the commands print: tables for people on stdout, or one JSON document."""
