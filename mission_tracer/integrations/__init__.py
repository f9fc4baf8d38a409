"""Record what frameworks and libraries do: one file per library, each imported only when it is asked for."""
