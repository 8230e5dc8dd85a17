//! Running programs that may crash or hang, each in a folder of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Nothing here takes more than a few seconds: after this a run is taken for hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder that goes when this does.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> Result<Self, String> {
        /// Only tells folders apart.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("heaptape-cases-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Runs a command here, without input, to its end.
    pub(super) fn run(&self, command: &mut Command) -> Result<Ended, String> {
        let fail = |e: std::io::Error| format!("{command:?}: {e}");
        let output = self.0.join("output");
        let file = File::create(&output).map_err(fail)?;
        let other = file.try_clone().map_err(fail)?;
        let mut child = Command::new(command.get_program())
            .args(command.get_args())
            .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .current_dir(&self.0)
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(other)
            .spawn()
            .map_err(fail)?;
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().map_err(fail)? {
                break status;
            }
            if start.elapsed() > PATIENCE {
                // It may have ended by now, which is as good.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{command:?}: hangs"));
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let text = fs::read(&output).map_err(fail)?;
        Ok(Ended { status, output: String::from_utf8_lossy(&text).into_owned() })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing depends on it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How a run ended.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    /// Standard output and errors.
    pub(super) output: String,
}
