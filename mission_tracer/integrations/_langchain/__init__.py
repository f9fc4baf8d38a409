"""What the integration of LangChain and LangGraph consists of."""
