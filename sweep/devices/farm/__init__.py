"""The processes of a farm (tracker, device servers, supervisor), and the status that other processes read of it."""
