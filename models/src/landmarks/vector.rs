//! Plane vectors, for measurements and for the lines that show them.

/// A vector on the film: to the right, and down. Its coordinates are NaN if there is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vector(pub(super) f64, pub(super) f64);

impl Vector {
    pub(super) const NONE: Self = Self(f64::NAN, f64::NAN);

    pub(super) fn plus(self, other: Self) -> Self {
        Self(self.0 + other.0, self.1 + other.1)
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self(self.0 - other.0, self.1 - other.1)
    }

    pub(super) fn times(self, factor: f64) -> Self {
        Self(self.0 * factor, self.1 * factor)
    }

    pub(super) fn dot(self, other: Self) -> f64 {
        self.0 * other.0 + self.1 * other.1
    }

    /// Positive if `other` is rotated from this one in the direction from x to y.
    pub(super) fn cross(self, other: Self) -> f64 {
        self.0 * other.1 - self.1 * other.0
    }

    pub(super) fn length(self) -> f64 {
        self.0.hypot(self.1)
    }

    /// This vector; `None` if its length is 0.
    pub(super) fn or_none(self) -> Self {
        if self.length() > 0.0 { self } else { Self::NONE }
    }

    /// The unit vector in this direction; `None` if the length is 0.
    pub(super) fn unit(self) -> Self {
        Self(self.0 / self.length(), self.1 / self.length())
    }

    /// The unit vector perpendicular to this one, on the side to which `towards` runs; `None` if the two are parallel.
    pub(super) fn normal(self, towards: Self) -> Self {
        let Self(x, y) = self.unit();
        let normal = Self(-y, x);
        match normal.dot(towards) {
            side if side > 0.0 => normal,
            side if side < 0.0 => Self(y, -x),
            _ => Self::NONE,
        }
    }

    /// The angle between two directions, in [0, 180]°.
    pub(super) fn angle(self, other: Self) -> f64 {
        self.cross(other).abs().atan2(self.dot(other)).to_degrees()
    }

    /// This vector rotated by an angle in radians, in the direction from x to y.
    pub(super) fn rotated(self, angle: f64) -> Self {
        let (sine, cosine) = angle.sin_cos();
        Self(cosine * self.0 - sine * self.1, sine * self.0 + cosine * self.1)
    }
}
