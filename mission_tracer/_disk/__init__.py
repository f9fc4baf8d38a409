"""Keep runs on the disk: journals, delivery logs, and where they lie."""
