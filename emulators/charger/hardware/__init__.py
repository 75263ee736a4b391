"""Hardware of an emulated charger: power stage, meter, thermal model, shared supply."""
