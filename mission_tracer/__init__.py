"""Record what an agent does to the Telnyx AI Missions API."""
