"""Begin runs, steps and tool calls around a call or a block, here or in another process."""
