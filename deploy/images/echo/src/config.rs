//! Where the agent finds its things (environment) and what it is told (the config file).

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

pub struct Place {
    pub port: u16,
    pub tenant: String,
    pub url: String,
    pub config_file: PathBuf,
    pub data_dir: PathBuf,
}

pub struct Config {
    pub greeting: String,
    pub start_delay: Duration,
    pub crash_on_start: bool,
    pub secret_names: Vec<String>,
}

impl Place {
    pub fn from_env() -> Result<Place, String> {
        let or = |name, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
        let port = or("ECHO_PORT", "8080");
        Ok(Place {
            port: port.parse().map_err(|_| format!("ECHO_PORT is not a port: {port:?}"))?,
            tenant: or("ECHO_TENANT", "nobody"),
            url: or("ECHO_URL", "http://localhost:8080"),
            config_file: or("ECHO_CONFIG", "/config/echo.json").into(),
            data_dir: or("ECHO_DATA", "/data").into(),
        })
    }

    pub fn read_config(&self) -> Result<Config, String> {
        let file = self.config_file.display();
        let text = std::fs::read(&self.config_file).map_err(|why| format!("cannot read {file}: {why}"))?;
        let value = serde_json::from_slice(&text).map_err(|why| format!("{file} is not JSON: {why}"))?;
        Config::from_json(&value).map_err(|why| format!("{file}: {why}"))
    }
}

impl Config {
    /// Every key is optional and unknown keys are ignored, but a key of the wrong type is an error.
    fn from_json(value: &Value) -> Result<Config, String> {
        let object = value.as_object().ok_or("must be an object")?;
        let wrong = |key, want| format!("{key} must be {want}, it is {}", object[key]);
        let greeting = match object.get("greeting") {
            None => "Hello",
            Some(given) => given.as_str().ok_or_else(|| wrong("greeting", "a string"))?,
        };
        let delay = match object.get("startDelaySeconds") {
            None => Some(Duration::ZERO),
            Some(given) => given.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds.min(86_400.0)).ok()),
        };
        let crash = match object.get("crashOnStart") {
            None => false,
            Some(given) => given.as_bool().ok_or_else(|| wrong("crashOnStart", "true or false"))?,
        };
        let names = match object.get("secretNames") {
            None => Some(Vec::new()),
            Some(given) => {
                given.as_array().and_then(|names| names.iter().map(|name| name.as_str().map(str::to_owned)).collect())
            }
        };
        Ok(Config {
            greeting: greeting.to_owned(),
            start_delay: delay.ok_or_else(|| wrong("startDelaySeconds", "a number of seconds"))?,
            crash_on_start: crash,
            secret_names: names.ok_or_else(|| wrong("secretNames", "a list of strings"))?,
        })
    }
}
