"""Write what a script reports from inside a run, from a process that lives for a moment."""
