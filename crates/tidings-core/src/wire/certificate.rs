//! A certificate as bytes: what a delta says whose owner was forgotten.

use std::time::Duration;

use super::parts::{FORGOTTEN, known_generation, read_name};
use super::{Reader, WireError, Writer};
use crate::certificate::Certificate;
use crate::message::Line;
use crate::time::{Moment, millis};
use crate::version::{Head, Heartbeat};

pub(super) fn write_certificate(out: &mut Writer, certificate: &Certificate) {
    let Certificate { name, head, entered, until } = certificate;
    let origin = Moment::default();
    out.byte(FORGOTTEN);
    out.varint(head.generation.0);
    out.varint(head.heartbeat.0);
    out.varint(millis(origin.since(*entered)));
    out.varint(millis(until.since(origin)));
    out.counted(name.as_str().as_bytes());
}

pub(super) fn read_certificate(bytes: &mut Reader<'_>) -> Result<Certificate, WireError> {
    let generation = known_generation(bytes.varint()?)?;
    let heartbeat = Heartbeat(bytes.varint()?);
    let (age, left) = (Duration::from_millis(bytes.varint()?), Duration::from_millis(bytes.varint()?));
    if heartbeat > Line::HIGHEST || age > Certificate::LONGEST || left > Certificate::LONGEST {
        return Err(WireError::Malformed("a certificate out of bounds"));
    }
    let name = read_name(bytes)?;
    let (head, origin) = (Head { generation, heartbeat }, Moment::default());
    Ok(Certificate { name, head, entered: origin - age, until: origin + left })
}
