"""The command line: the only place that prints, reads the environment and the clock, and sets exit codes."""
