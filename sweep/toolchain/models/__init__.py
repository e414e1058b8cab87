"""From a model file to a Relax module with inputs and the expected output."""
