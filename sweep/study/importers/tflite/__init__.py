"""TFLite files as a plan sees them: their header is read, and held against the schema, without their library."""
