//! Block codecs, one file each: a drawing of the layout and `decode`.
