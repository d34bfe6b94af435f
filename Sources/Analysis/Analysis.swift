// Filled by the analysis types.
