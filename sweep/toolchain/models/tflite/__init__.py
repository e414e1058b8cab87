"""TFLite files: read, made a Relax module, and answered by LiteRT in a process of its own."""
