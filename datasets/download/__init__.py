"""Getting data sets by name: where they come from, fetching, checking, unpacking."""
