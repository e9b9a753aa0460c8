//! The anatomy of the phantom's head as data: the positions and materials of its parts.
//!
//! Positions are px of 0.1 mm on a film of 1935 x 2400 px, the face to the right, before any deformation.

use crate::film::LEAD;
use crate::render::{Material, Shape, material};
use crate::variation::At;

/// A group of parts that move together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Group {
    /// Skull, face and upper teeth.
    Skull,
    /// Paired bones of the side farther from the film, never exactly above those of the nearer side.
    FarSide,
    /// Mandible and lower teeth, hinged at the condyle.
    Jaw,
    /// Vertebrae.
    Neck,
    /// Everything soft.
    Skin,
    /// The ear rods that hold the head.
    EarRod,
    /// Objects beside the head, independent of its shape and pose.
    Stand,
    /// Marks on the film itself.
    Film,
}

/// One drawn part of the head.
#[derive(Debug)]
pub struct Part {
    /// The group that it moves with.
    pub group: Group,
    /// Whether the outline is a border or a middle line.
    pub shape: Shape,
    /// Its material.
    pub material: &'static Material,
    /// Knots of its outline; a knot given twice is a corner.
    pub knots: &'static [At],
}

const fn body(group: Group, material: &'static Material, knots: &'static [At]) -> Part {
    Part { group, shape: Shape::Body, material, knots }
}

const fn band(group: Group, half: f64, material: &'static Material, knots: &'static [At]) -> Part {
    Part { group, shape: Shape::Band(half), material, knots }
}

use Group::{EarRod, FarSide, Film, Jaw, Neck, Skin, Skull, Stand};

/// The 19 landmarks in ISBI order. Each is a knot of a part of its group, save the sella, the centre of its pit.
#[rustfmt::skip]
pub const LANDMARKS: [(&str, Group, At); 19] = [
    ("sella", Skull, [815.0, 1050.0]),
    ("nasion", Skull, [1385.0, 985.0]),
    ("orbitale", Skull, [1265.0, 1235.0]),
    ("porion", EarRod, [628.0, 1235.0]),
    ("subspinale", Skull, [1378.0, 1530.0]),
    ("supramentale", Jaw, [1344.0, 1835.0]),
    ("pogonion", Jaw, [1358.0, 1962.0]),
    ("menton", Jaw, [1288.0, 2034.0]),
    ("gnathion", Jaw, [1337.0, 2013.0]),
    ("gonion", Jaw, [760.0, 1742.0]),
    ("lower incisal incision", Jaw, [1414.0, 1688.0]),
    ("upper incisal incision", Skull, [1438.0, 1702.0]),
    ("upper lip", Skin, [1552.0, 1622.0]),
    ("lower lip", Skin, [1532.0, 1795.0]),
    ("subnasale", Skin, [1488.0, 1500.0]),
    ("soft-tissue pogonion", Skin, [1462.0, 1985.0]),
    ("posterior nasal spine", Skull, [975.0, 1435.0]),
    ("anterior nasal spine", Skull, [1404.0, 1450.0]),
    ("articulare", Jaw, [690.0, 1338.0]),
];

const FLESH: Material = material(240.0, &[(0.0, 1.45), (16.0, 0.6)]);
const LARD: Material = material(90.0, &[(0.0, 1.5)]);
const OUTER_TABLE: Material = material(200.0, &[(0.0, 6.0), (14.0, -4.9)]);
const INNER_TABLE: Material = material(200.0, &[(0.0, 5.0), (16.0, -4.7)]);
const PETROUS: Material = material(190.0, &[(0.0, 0.7), (40.0, 1.7)]);
const BONE: Material = material(90.0, &[(0.0, 5.2), (16.0, -2.6)]);
const SPONGE: Material = material(200.0, &[(0.0, 1.3)]);
const PLATE: Material = material(40.0, &[(0.0, 7.0)]);
const JAWBONE: Material = material(110.0, &[(0.0, 7.0), (24.0, -4.0)]);
pub const VERTEBRA: Material = material(55.0, &[(0.0, 8.0), (10.0, -2.0)]);
const LAMELLA: Material = material(14.0, &[(0.0, 16.0)]);
const HAZE: Material = material(45.0, &[(0.0, 2.6)]);
const AIR: Material = material(90.0, &[(0.0, -2.2)]);
const GROOVE: Material = material(14.0, &[(0.0, -7.0)]);
const METAL: Material = material(14.0, &[(0.0, 60.0)]);
const PLASTIC: Material = material(60.0, &[(0.0, 6.0)]);
pub const TOOTH: Material = material(40.0, &[(0.0, 6.0), (20.0, -4.0)]);
pub const ENAMEL: Material = material(26.0, &[(0.0, 17.0)]);
pub const FILLING: Material = material(20.0, &[(0.0, 60.0)]);
pub const CELL: Material = material(40.0, &[(0.0, 7.0), (8.0, -12.0)]);

/// The parts of the head. Their order does not matter, since attenuations add.
#[rustfmt::skip]
pub const PARTS: &[Part] = &[
    // Soft tissue: the profile from the forehead over nose, lips and chin to the neck, closed behind the head.
    body(Skin, &FLESH, &[
        [600.0, 60.0], [900.0, 110.0], [1180.0, 270.0], [1350.0, 500.0], [1428.0, 740.0], [1446.0, 880.0],
        [1436.0, 985.0], [1468.0, 1080.0], [1540.0, 1200.0], [1618.0, 1310.0], [1642.0, 1372.0], [1612.0, 1428.0],
        [1550.0, 1450.0], [1500.0, 1466.0], [1488.0, 1500.0], [1498.0, 1550.0], [1530.0, 1592.0], [1552.0, 1622.0],
        [1546.0, 1662.0], [1508.0, 1698.0], [1508.0, 1698.0], [1526.0, 1745.0], [1532.0, 1795.0], [1498.0, 1842.0],
        [1448.0, 1880.0], [1444.0, 1925.0], [1462.0, 1985.0], [1438.0, 2062.0], [1370.0, 2112.0], [1260.0, 2130.0],
        [1100.0, 2110.0], [980.0, 2130.0], [930.0, 2220.0], [900.0, 2380.0], [880.0, 2700.0], [300.0, 2900.0],
        [-300.0, 2800.0], [60.0, 2250.0], [70.0, 1900.0], [20.0, 1600.0], [-120.0, 1300.0], [-190.0, 900.0],
        [-90.0, 480.0], [220.0, 150.0],
    ]),
    // The wing of the nose and the lips, thicker than the rest of the profile.
    body(Skin, &LARD, &[[1500.0, 1330.0], [1570.0, 1330.0], [1590.0, 1390.0], [1540.0, 1430.0], [1480.0, 1410.0]]),
    body(Skin, &LARD, &[[1430.0, 1490.0], [1484.0, 1510.0], [1530.0, 1596.0], [1546.0, 1650.0], [1506.0, 1694.0], [1450.0, 1640.0]]),
    body(Skin, &LARD, &[[1440.0, 1720.0], [1510.0, 1710.0], [1527.0, 1790.0], [1494.0, 1838.0], [1440.0, 1870.0], [1420.0, 1800.0]]),
    // Shoulder.
    body(Neck, &PLASTIC, &[
        [-200.0, 2180.0], [150.0, 2230.0], [420.0, 2330.0], [640.0, 2480.0], [500.0, 2700.0], [-300.0, 2700.0],
    ]),
    // Vault, outer border: from nasion over the brow and the occiput, back along clivus and orbital roof.
    body(Skull, &OUTER_TABLE, &[
        [1385.0, 985.0], [1385.0, 985.0], [1402.0, 935.0], [1392.0, 840.0], [1352.0, 690.0], [1268.0, 520.0],
        [1120.0, 350.0], [880.0, 215.0], [590.0, 165.0], [310.0, 260.0], [90.0, 480.0], [-20.0, 780.0],
        [10.0, 1080.0], [110.0, 1290.0], [250.0, 1400.0], [400.0, 1430.0], [520.0, 1400.0], [620.0, 1360.0],
        [668.0, 1290.0], [690.0, 1180.0], [716.0, 1090.0], [726.0, 1008.0], [745.0, 988.0],
        [762.0, 1000.0], [748.0, 1050.0], [768.0, 1097.0], [815.0, 1117.0], [862.0, 1097.0], [882.0, 1050.0],
        [866.0, 1006.0], [890.0, 985.0], [960.0, 985.0],
        [1060.0, 962.0], [1180.0, 930.0], [1290.0, 925.0], [1345.0, 955.0],
    ]),
    // Inner border of the vault: the bone is thickest behind and at the brow.
    body(Skull, &INNER_TABLE, &[
        [1330.0, 905.0], [1338.0, 830.0], [1296.0, 696.0], [1215.0, 550.0], [1078.0, 400.0], [862.0, 282.0],
        [596.0, 238.0], [352.0, 318.0], [150.0, 516.0], [48.0, 796.0], [72.0, 1060.0], [160.0, 1250.0],
        [268.0, 1352.0], [400.0, 1380.0], [510.0, 1335.0], [600.0, 1270.0], [665.0, 1180.0], [712.0, 1010.0],
        [745.0, 985.0], [762.0, 1000.0], [748.0, 1050.0], [768.0, 1097.0], [815.0, 1117.0], [862.0, 1097.0],
        [882.0, 1050.0], [866.0, 1006.0], [890.0, 982.0], [960.0, 980.0], [1060.0, 950.0], [1180.0, 895.0], [1280.0, 880.0],
    ]),
    // Coronal suture and the grooves of the vessels, thinner than the bone around them.
    band(Skull, 9.0, &GROOVE, &[[905.0, 240.0], [885.0, 340.0], [915.0, 420.0], [900.0, 520.0], [935.0, 640.0], [925.0, 760.0]]),
    band(Skull, 10.0, &GROOVE, &[[900.0, 900.0], [820.0, 770.0], [790.0, 600.0], [700.0, 420.0], [640.0, 300.0]]),
    band(Skull, 8.0, &GROOVE, &[[820.0, 770.0], [660.0, 680.0], [480.0, 640.0], [330.0, 540.0]]),
    // Petrous bone and mastoid process, the whitest of the base.
    body(Skull, &PETROUS, &[
        [260.0, 1330.0], [340.0, 1180.0], [480.0, 1090.0], [640.0, 1070.0], [730.0, 1130.0], [860.0, 1190.0],
        [850.0, 1240.0], [740.0, 1290.0], [620.0, 1350.0], [540.0, 1450.0], [450.0, 1440.0], [340.0, 1420.0],
    ]),
    // Planum, tuberculum, the pit of the sella around its centre, dorsum and clivus down to articulare.
    band(Skull, 9.0, &LAMELLA, &[
        [1180.0, 938.0], [1060.0, 958.0], [960.0, 985.0], [890.0, 985.0], [866.0, 1006.0], [882.0, 1050.0],
        [862.0, 1097.0], [815.0, 1117.0], [768.0, 1097.0], [748.0, 1050.0], [765.0, 1000.0], [745.0, 985.0],
        [722.0, 1010.0], [716.0, 1090.0], [690.0, 1180.0], [660.0, 1290.0],
    ]),
    // Underside of the base, which crosses the neck of the mandible at articulare.
    band(Jaw, 9.0, &LAMELLA, &[[560.0, 1420.0], [625.0, 1392.0], [690.0, 1338.0], [760.0, 1215.0], [815.0, 1165.0]]),
    // Orbital roofs, left and right.
    band(Skull, 9.0, &LAMELLA, &[[1365.0, 915.0], [1300.0, 880.0], [1180.0, 890.0], [1050.0, 945.0], [940.0, 1000.0]]),
    band(FarSide, 8.0, &LAMELLA, &[[1345.0, 945.0], [1285.0, 912.0], [1180.0, 922.0], [1060.0, 978.0], [960.0, 1030.0]]),
    // Greater wings and the floor of the middle fossa.
    band(Skull, 7.0, &LAMELLA, &[[1020.0, 960.0], [1000.0, 1060.0], [1015.0, 1140.0], [980.0, 1215.0], [880.0, 1230.0]]),
    band(FarSide, 7.0, &LAMELLA, &[[985.0, 985.0], [960.0, 1075.0], [968.0, 1160.0], [925.0, 1210.0], [810.0, 1180.0]]),
    // Frontal sinus, sphenoid sinus, maxillary sinus, nose, pharynx.
    body(Skull, &AIR, &[[1372.0, 935.0], [1378.0, 860.0], [1345.0, 775.0], [1325.0, 790.0], [1330.0, 880.0], [1345.0, 940.0]]),
    body(Skull, &AIR, &[[900.0, 1060.0], [985.0, 1080.0], [970.0, 1185.0], [870.0, 1215.0], [800.0, 1180.0], [812.0, 1135.0]]),
    body(Skull, &AIR, &[
        [1030.0, 1260.0], [1120.0, 1245.0], [1225.0, 1275.0], [1235.0, 1350.0], [1180.0, 1415.0], [1060.0, 1415.0],
        [1012.0, 1350.0],
    ]),
    body(Skull, &AIR, &[
        [1120.0, 1060.0], [1260.0, 1035.0], [1385.0, 1130.0], [1390.0, 1300.0], [1360.0, 1420.0], [1150.0, 1425.0],
        [1060.0, 1300.0],
    ]),
    body(Skin, &AIR, &[
        [955.0, 1290.0], [965.0, 1440.0], [925.0, 1560.0], [890.0, 1700.0], [900.0, 1850.0], [930.0, 2000.0],
        [900.0, 2150.0], [850.0, 2420.0], [770.0, 2420.0], [815.0, 2150.0], [820.0, 1980.0], [815.0, 1820.0],
        [825.0, 1650.0], [835.0, 1500.0], [860.0, 1370.0], [900.0, 1295.0],
    ]),
    // Cheek, muscles and the many thin bones behind the face, too blurred to have a border of their own.
    body(Skull, &SPONGE, &[
        [1340.0, 960.0], [1330.0, 1240.0], [1330.0, 1460.0], [1380.0, 1640.0], [1330.0, 1860.0], [1080.0, 1840.0],
        [880.0, 1700.0], [720.0, 1500.0], [700.0, 1180.0], [900.0, 1040.0], [1150.0, 980.0],
    ]),
    // Nasal bone, below the notch of nasion.
    body(Skull, &PLATE, &[
        [1385.0, 985.0], [1385.0, 985.0], [1420.0, 1050.0], [1462.0, 1130.0], [1474.0, 1168.0], [1474.0, 1168.0],
        [1430.0, 1125.0], [1385.0, 1060.0], [1360.0, 1000.0],
    ]),
    // Orbital floor to its lowest point in front, orbitale, where the rim rises in a sharp bend.
    band(Skull, 10.0, &LAMELLA, &[
        [1010.0, 1150.0], [1090.0, 1182.0], [1180.0, 1215.0], [1265.0, 1235.0], [1265.0, 1235.0], [1300.0, 1175.0],
        [1298.0, 1100.0], [1272.0, 1030.0], [1300.0, 960.0],
    ]),
    band(Skull, 11.0, &LAMELLA, &[[1170.0, 1150.0], [1158.0, 1060.0], [1195.0, 985.0], [1250.0, 930.0]]),
    // Key ridge of the cheekbone, from orbitale down.
    band(Skull, 13.0, &LAMELLA, &[
        [1265.0, 1235.0], [1232.0, 1300.0], [1205.0, 1390.0], [1160.0, 1440.0], [1110.0, 1400.0], [1080.0, 1290.0],
        [1085.0, 1182.0],
    ]),
    body(Skull, &HAZE, &[
        [1090.0, 1182.0], [1265.0, 1235.0], [1232.0, 1300.0], [1200.0, 1395.0], [1150.0, 1440.0], [1090.0, 1290.0],
    ]),
    // Pterygomaxillary fissure, a drop upside down whose tip points at the posterior nasal spine.
    band(Skull, 7.0, &LAMELLA, &[
        [985.0, 1420.0], [985.0, 1420.0], [972.0, 1330.0], [985.0, 1240.0], [1015.0, 1225.0], [1030.0, 1260.0],
        [1012.0, 1340.0], [985.0, 1420.0],
    ]),
    band(Skull, 7.0, &LAMELLA, &[[985.0, 1420.0], [940.0, 1350.0], [900.0, 1245.0]]),
    // Maxilla: the hard palate between the two spines, the hollow of subspinale, the alveolar ridge.
    body(Skull, &BONE, &[
        [1404.0, 1450.0], [1404.0, 1450.0], [1382.0, 1482.0], [1378.0, 1530.0], [1396.0, 1580.0], [1420.0, 1618.0],
        [1380.0, 1622.0], [1250.0, 1605.0], [1110.0, 1585.0], [1040.0, 1560.0], [1015.0, 1500.0], [1030.0, 1460.0],
        [975.0, 1435.0], [975.0, 1435.0], [1050.0, 1424.0], [1180.0, 1432.0], [1300.0, 1438.0],
    ]),
    band(Skull, 11.0, &LAMELLA, &[
        [975.0, 1435.0], [975.0, 1435.0], [1050.0, 1430.0], [1180.0, 1438.0], [1300.0, 1444.0], [1404.0, 1450.0],
        [1404.0, 1450.0],
    ]),
    band(Skull, 7.0, &LAMELLA, &[[975.0, 1435.0], [1060.0, 1458.0], [1180.0, 1474.0], [1290.0, 1500.0], [1345.0, 1560.0]]),
    // Mandible: condyle, articulare, ramus, gonion, lower border, chin, alveolar ridge, coronoid process.
    body(Jaw, &JAWBONE, &[
        [745.0, 1250.0], [705.0, 1280.0], [690.0, 1338.0], [708.0, 1450.0], [715.0, 1570.0], [722.0, 1665.0],
        [760.0, 1742.0], [850.0, 1800.0], [960.0, 1862.0], [1080.0, 1932.0], [1190.0, 1995.0], [1288.0, 2034.0],
        [1337.0, 2013.0], [1358.0, 1962.0], [1352.0, 1900.0], [1344.0, 1835.0], [1362.0, 1785.0], [1388.0, 1748.0],
        [1340.0, 1752.0], [1200.0, 1765.0], [1070.0, 1725.0], [975.0, 1640.0], [925.0, 1530.0], [900.0, 1430.0],
        [872.0, 1365.0], [840.0, 1405.0], [808.0, 1410.0], [790.0, 1340.0], [790.0, 1275.0],
    ]),
    // The inner border of the symphysis.
    band(Jaw, 9.0, &LAMELLA, &[
        [1335.0, 1790.0], [1300.0, 1840.0], [1275.0, 1920.0], [1262.0, 1985.0], [1288.0, 2012.0], [1326.0, 1992.0],
        [1338.0, 1950.0],
    ]),
    // The far side: ramus and lower border, and the rim of the orbit with the key ridge.
    band(FarSide, 14.0, &HAZE, &[
        [1180.0, 1978.0], [1080.0, 1918.0], [960.0, 1846.0], [862.0, 1786.0], [778.0, 1722.0], [738.0, 1650.0],
        [732.0, 1560.0], [726.0, 1440.0], [712.0, 1340.0], [722.0, 1285.0], [755.0, 1262.0],
    ]),
    band(FarSide, 9.0, &HAZE, &[
        [1080.0, 1170.0], [1170.0, 1202.0], [1250.0, 1218.0], [1282.0, 1160.0], [1280.0, 1085.0], [1255.0, 1020.0],
    ]),
    band(FarSide, 12.0, &HAZE, &[
        [1248.0, 1225.0], [1216.0, 1300.0], [1190.0, 1380.0], [1150.0, 1425.0], [1105.0, 1385.0], [1075.0, 1280.0],
    ]),
    // Canal of the mandible.
    band(Jaw, 12.0, &AIR, &[[835.0, 1560.0], [880.0, 1700.0], [1000.0, 1815.0], [1150.0, 1890.0]]),
    // Hyoid bone.
    body(Skin, &PLATE, &[[860.0, 1925.0], [950.0, 1975.0], [1010.0, 1990.0], [1015.0, 2045.0], [970.0, 2050.0], [930.0, 2005.0]]),
    // Atlas: front and back of its ring. Axis: the dens.
    body(Neck, &VERTEBRA, &[[735.0, 1450.0], [770.0, 1475.0], [765.0, 1535.0], [735.0, 1555.0], [712.0, 1505.0]]),
    body(Neck, &VERTEBRA, &[
        [360.0, 1530.0], [400.0, 1500.0], [470.0, 1530.0], [600.0, 1510.0], [640.0, 1540.0], [590.0, 1580.0],
        [470.0, 1585.0], [410.0, 1610.0], [365.0, 1590.0],
    ]),
    body(Neck, &VERTEBRA, &[
        [690.0, 1440.0], [712.0, 1470.0], [705.0, 1580.0], [728.0, 1650.0], [740.0, 1722.0], [620.0, 1730.0],
        [622.0, 1640.0], [655.0, 1560.0], [662.0, 1470.0],
    ]),
    // Ear rod: two rings; porion is the top of the outer one.
    band(EarRod, 6.0, &METAL, &[
        [628.0, 1235.0], [689.5, 1260.5], [715.0, 1322.0], [689.5, 1383.5], [628.0, 1409.0], [566.5, 1383.5],
        [541.0, 1322.0], [566.5, 1260.5], [628.0, 1235.0],
    ]),
    body(EarRod, &PLASTIC, &[[620.0, 1262.0], [676.0, 1318.0], [620.0, 1374.0], [564.0, 1318.0]]),
    // Nasal rest with its ruler.
    band(Stand, 26.0, &PLASTIC, &[[1702.0, -40.0], [1702.0, 1080.0]]),
    band(Stand, 70.0, &HAZE, &[[1680.0, -40.0], [1680.0, 420.0]]),
    band(Stand, 32.0, &PLASTIC, &[[1712.0, 960.0], [1712.0, 960.0], [1712.0, 1120.0], [1712.0, 1120.0], [1560.0, 1128.0]]),
    // The clips of the cassette, which leave the film's edge white.
    band(Film, 75.0, &LEAD, &[[460.0, 0.0], [585.0, 0.0]]),
    band(Film, 75.0, &LEAD, &[[920.0, 0.0], [1045.0, 0.0]]),
    band(Film, 75.0, &LEAD, &[[1380.0, 0.0], [1505.0, 0.0]]),
    band(Film, 45.0, &LEAD, &[[480.0, 2400.0], [605.0, 2400.0]]),
    band(Film, 45.0, &LEAD, &[[930.0, 2400.0], [1055.0, 2400.0]]),
    band(Film, 45.0, &LEAD, &[[1390.0, 2400.0], [1515.0, 2400.0]]),
];

/// A tooth: what it is, tip of the crown, apex of the root, half of its width, its outline.
pub type Tooth = (Group, At, At, f64, &'static [At]);

/// The teeth from the central incisors back; the tips of the first two are landmarks.
#[rustfmt::skip]
pub const TEETH: &[Tooth] = &[
    (Skull, [1438.0, 1702.0], [1338.0, 1478.0], 34.0, CUTTER),
    (Skull, [1408.0, 1706.0], [1312.0, 1490.0], 32.0, CUTTER),
    (Skull, [1368.0, 1712.0], [1290.0, 1465.0], 36.0, CUTTER),
    (Skull, [1308.0, 1706.0], [1250.0, 1500.0], 37.0, BICUSPID),
    (Skull, [1240.0, 1704.0], [1205.0, 1500.0], 38.0, BICUSPID),
    (Skull, [1154.0, 1700.0], [1135.0, 1500.0], 52.0, GRINDER),
    (Skull, [1054.0, 1686.0], [1052.0, 1500.0], 50.0, GRINDER),
    (Jaw, [1414.0, 1688.0], [1318.0, 1886.0], 29.0, CUTTER),
    (Jaw, [1386.0, 1686.0], [1296.0, 1880.0], 29.0, CUTTER),
    (Jaw, [1346.0, 1690.0], [1262.0, 1890.0], 34.0, CUTTER),
    (Jaw, [1280.0, 1696.0], [1212.0, 1880.0], 37.0, BICUSPID),
    (Jaw, [1208.0, 1696.0], [1150.0, 1870.0], 38.0, BICUSPID),
    (Jaw, [1112.0, 1684.0], [1066.0, 1850.0], 53.0, GRINDER),
    (Jaw, [1008.0, 1664.0], [965.0, 1812.0], 51.0, GRINDER),
];
/// Outline of a front tooth: along the axis from tip (0) to apex (1), and across in half widths.
#[rustfmt::skip]
pub const CUTTER: &[At] = &[
    [0.0, 0.0], [0.0, 0.0], [0.1, 0.55], [0.26, 0.98], [0.4, 0.9], [0.7, 0.62], [0.93, 0.3], [1.0, 0.0],
    [0.93, -0.3], [0.7, -0.62], [0.4, -0.9], [0.26, -0.98], [0.1, -0.55],
];
/// Outline of a premolar.
#[rustfmt::skip]
pub const BICUSPID: &[At] = &[
    [0.05, 0.0], [0.0, 0.4], [0.08, 0.85], [0.22, 1.0], [0.38, 0.86], [0.7, 0.6], [0.93, 0.3], [1.0, 0.0],
    [0.93, -0.3], [0.7, -0.6], [0.38, -0.86], [0.22, -1.0], [0.08, -0.85], [0.0, -0.4],
];
/// Outline of a molar, with two cusps and two roots.
#[rustfmt::skip]
pub const GRINDER: &[At] = &[
    [0.05, 0.0], [0.0, 0.55], [0.1, 0.95], [0.28, 1.0], [0.45, 0.85], [0.75, 0.8], [1.0, 0.62], [0.85, 0.3],
    [0.58, 0.0], [0.85, -0.3], [1.0, -0.62], [0.75, -0.8], [0.45, -0.85], [0.28, -1.0], [0.1, -0.95], [0.0, -0.55],
];

/// The vertebrae below the axis: centre of the body, front edge at the right.
#[rustfmt::skip]
pub const VERTEBRAE: [At; 5] = [[670.0, 1795.0], [645.0, 1922.0], [628.0, 2048.0], [615.0, 2176.0], [608.0, 2306.0]];
/// Outline of a vertebra's body around its centre.
#[rustfmt::skip]
pub const CENTRUM: &[At] = &[
    [-66.0, -52.0], [-60.0, -56.0], [0.0, -40.0], [52.0, -38.0], [68.0, -28.0], [60.0, 8.0], [72.0, 56.0],
    [62.0, 62.0], [0.0, 50.0], [-52.0, 46.0], [-66.0, 38.0], [-58.0, 0.0],
];
/// Outline of its arch and spinous process.
#[rustfmt::skip]
pub const PROCESS: &[At] = &[
    [-60.0, -40.0], [-110.0, -62.0], [-150.0, -20.0], [-240.0, 20.0], [-320.0, 75.0], [-310.0, 110.0],
    [-220.0, 80.0], [-140.0, 60.0], [-110.0, 40.0], [-60.0, 20.0],
];

/// Outline of an air cell around its centre, in radii.
#[rustfmt::skip]
pub const CELL_OUTLINE: [At; 6] =
    [[1.0, 0.1], [0.4, 0.9], [-0.6, 0.8], [-1.0, -0.1], [-0.4, -0.9], [0.6, -0.8]];
/// Clusters of small air cells: centre, spread in px, number, and smallest and largest radius in px.
#[rustfmt::skip]
pub const CELLS: [(At, At, usize, [f64; 2]); 3] = [
    ([500.0, 1270.0], [55.0, 60.0], 45, [9.0, 26.0]),
    ([1175.0, 1080.0], [70.0, 55.0], 26, [18.0, 48.0]),
    ([1060.0, 1130.0], [35.0, 45.0], 12, [16.0, 40.0]),
];
