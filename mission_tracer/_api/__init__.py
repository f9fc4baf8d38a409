"""The Missions API as data, and what both clients are made of."""
