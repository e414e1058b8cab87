"""The live view: a terminal shows it while a run or the measuring of an overlay goes on."""
