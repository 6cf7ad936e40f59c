//! Pages as a browser draws them: Chromium without a window, and just enough of PNG to see whether anything was drawn.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;

/// Longest time that one picture may take, in seconds.
const PATIENCE: &str = "60";
/// Most bytes of a picture that are unpacked.
const LIMIT: usize = 256 << 20;

/// Which colours a page is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `prefers-color-scheme: dark`
    Dark,
    /// `prefers-color-scheme: light`
    Light,
}

/// A picture of a page.
#[derive(Debug)]
pub struct Picture {
    /// The file: PNG.
    pub bytes: Vec<u8>,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// How many pixels have each colour.
    pub colours: BTreeMap<[u8; 3], usize>,
}

impl Picture {
    /// The colour of most pixels.
    #[must_use]
    pub fn ground(&self) -> [u8; 3] {
        self.colours.iter().max_by_key(|(_, count)| **count).map(|(colour, _)| *colour).unwrap_or_default()
    }

    /// The share of pixels that have another colour than the ground.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share of a count")]
    pub fn drawn(&self) -> f64 {
        let ground = self.colours.get(&self.ground()).copied().unwrap_or_default();
        1.0 - ground as f64 / (self.width * self.height).max(1) as f64
    }
}

/// The browser, if it is installed.
#[must_use]
pub fn browser() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join("chromium")).find(|path| path.is_file())
}

/// Draws a page. What the page complains about (scripts and resources that its own policy forbids, faults) is an error.
///
/// # Errors
/// What went wrong, in words.
pub fn draw(browser: &Path, page: &Path, (width, height): (u32, u32), scheme: Scheme) -> Result<Picture, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let file = folder.path().join("picture.png");
    let scheme = if scheme == Scheme::Dark { 0 } else { 1 };
    let mut command = headless(browser, folder.path());
    command.arg(format!("--blink-settings=preferredColorScheme={scheme}"));
    command.arg(format!("--screenshot={}", file.display())).arg(format!("--window-size={width},{height}"));
    command.arg(format!("file://{}", page.display()));
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if let Some(line) = said.lines().find(|line| line.contains("CONSOLE")) {
        return Err(format!("the page complains: {line}"));
    }
    let bytes = fs::read(&file).map_err(|error| format!("{}, no picture: {error}\n{said}", output.status))?;
    decode(bytes).ok_or_else(|| "the picture is no PNG of the expected kind".to_owned())
}

/// Width and height that a page takes in a window of this width, in pixels: it runs over where its width is the larger one. A text
/// of a drawing that runs over the box that it begins in is an error.
///
/// The page runs no script, so it is looked at from outside: a page around it measures it.
///
/// # Errors
/// What went wrong, in words.
pub fn measure(browser: &Path, page: &Path, width: u32) -> Result<(u32, u32), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let around = folder.path().join("around.html");
    let text = format!(
        "<!doctype html><body><iframe id=f width={width} height=1000 style=border:0 src=\"file://{}\"></iframe><p id=p></p><script>\
         const over = t => {{\
           const a = t.getBoundingClientRect(), boxes = [...t.ownerSVGElement.querySelectorAll('rect')].map(r => r.getBoundingClientRect());\
           return a.width > 0 && boxes.some(b => b.left <= a.left && a.left < b.right && b.top <= a.top && a.bottom <= b.bottom && a.right > b.right); }};\
         f.onload = () => {{ const d = f.contentDocument, e = d.documentElement;\
           const texts = [...d.querySelectorAll('svg text')].filter(over).map(t => t.textContent).join('; ');\
           p.textContent = `takes ${{e.scrollWidth}} by ${{e.scrollHeight}} pixels; over: ${{texts}}.`; }}\
         </script>",
        page.display()
    );
    fs::write(&around, text).map_err(|error| error.to_string())?;
    let mut command = headless(browser, folder.path());
    command.args(["--allow-file-access-from-files", "--virtual-time-budget=20000", "--dump-dom"]).arg(format!("--window-size={},1200", width + 100));
    command.arg(format!("file://{}", around.display()));
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let numbers =
        said.split_once("<p id=\"p\">takes ").and_then(|(_, rest)| rest.split_once(" pixels")).and_then(|(numbers, _)| numbers.split_once(" by "));
    let (width, height) = numbers.ok_or_else(|| format!("{}, not measured: {said}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))?;
    let over = said.split_once(" pixels; over: ").and_then(|(_, rest)| rest.split_once(".</p>")).map_or("not said", |(over, _)| over);
    if !over.is_empty() {
        return Err(format!("texts run over their boxes: {over}"));
    }
    Ok((width.parse().map_err(|_| said.to_string())?, height.parse().map_err(|_| said.to_string())?))
}

/// The browser, without a window, without anything from the network, with a profile of its own.
fn headless(browser: &Path, folder: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", PATIENCE]).arg(browser);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]);
    command.args(["--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--enable-logging=stderr"]);
    command.arg(format!("--user-data-dir={}", folder.join("profile").display())).env("HOME", folder).stdin(Stdio::null());
    command
}

/// Reads a PNG of 8 bits a channel without interlacing (ISO/IEC 15948 §5, §9).
fn decode(bytes: Vec<u8>) -> Option<Picture> {
    let mut rest = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n")?;
    let number = |at: &[u8]| Some(u32::from_be_bytes(at.get(..4)?.try_into().ok()?) as usize);
    let (mut header, mut packed) = (None, Vec::new());
    while !rest.is_empty() {
        let length = number(rest)?;
        let (kind, body) = (rest.get(4..8)?, rest.get(8..8 + length)?);
        match kind {
            b"IHDR" => header = Some(body),
            b"IDAT" => packed.extend_from_slice(body),
            _ => {}
        }
        rest = rest.get(12 + length..)?;
    }
    let header = header?;
    let (width, height) = (number(header)?, number(header.get(4..)?)?);
    let channels = match header.get(8..13)? {
        [8, 2, 0, 0, 0] => 3,
        [8, 6, 0, 0, 0] => 4,
        _ => return None,
    };
    let lines = decompress_to_vec_zlib_with_limit(&packed, LIMIT).ok()?;
    let mut colours = BTreeMap::new();
    let mut above = vec![0_u8; width * channels];
    for line in lines.chunks_exact(1 + width * channels).take(height) {
        let (filter, line) = line.split_first()?;
        let mut current = line.to_vec();
        for index in 0..current.len() {
            let left = index.checked_sub(channels).and_then(|left| current.get(left)).copied().unwrap_or(0);
            let up = *above.get(index)?;
            let corner = index.checked_sub(channels).and_then(|left| above.get(left)).copied().unwrap_or(0);
            let predicted = match filter {
                0 => 0,
                1 => left,
                2 => up,
                3 => u8::midpoint(left, up),
                4 => paeth(left, up, corner),
                _ => return None,
            };
            let value = current.get_mut(index)?;
            *value = value.wrapping_add(predicted);
        }
        for pixel in current.chunks_exact(channels) {
            *colours.entry(*pixel.first_chunk::<3>()?).or_default() += 1;
        }
        above = current;
    }
    Some(Picture { bytes, width, height, colours })
}

/// The one of the three neighbours that is nearest to left + up − corner (ISO/IEC 15948 §9.4).
fn paeth(left: u8, up: u8, corner: u8) -> u8 {
    let [l, u, c] = [left, up, corner].map(i16::from);
    let guess = l + u - c;
    let (to_left, to_up, to_corner) = ((guess - l).abs(), (guess - u).abs(), (guess - c).abs());
    if to_left <= to_up && to_left <= to_corner {
        left
    } else if to_up <= to_corner {
        up
    } else {
        corner
    }
}
