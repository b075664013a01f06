//! The s390x machine (s390-ccw-virtio).
