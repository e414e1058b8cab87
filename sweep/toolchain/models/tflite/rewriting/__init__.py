"""TFLite files written anew in part: what is new lies before the old file and leads into it."""
