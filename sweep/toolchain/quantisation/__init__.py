"""Post-training quantisation: ranges that are observed, scales that follow from them, networks in QDQ form."""
