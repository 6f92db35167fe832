use std::fmt;

use tokio::sync::Mutex;

/// Clients by number, made when they are first needed, and kept from round to round.
pub struct Clients<T>(Mutex<Vec<T>>);

impl<T: Clone> Clients<T> {
    /// The client of this number.
    ///
    /// # Errors
    /// It cannot be made.
    pub async fn get<E, F>(&self, number: usize, make: impl Fn() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let mut made = self.0.lock().await;
        while made.len() <= number {
            made.push(make().await?);
        }
        Ok(made[number].clone())
    }
}

impl<T> Default for Clients<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> fmt::Debug for Clients<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clients")
    }
}
