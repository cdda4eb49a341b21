//! The options of the sockets between processes.

use std::net::TcpStream;
use std::time::Duration;

use rustix::net::sockopt;

/// How long data may wait to be acknowledged by the other host, and a silent host is left in peace.
const SILENCE: Duration = Duration::from_secs(10);

/// Prepares a connection that has been admitted: nothing waits for more to send, and a host that is
/// gone is noticed although there is nothing to send.
pub(crate) fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)?;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        sockopt::set_tcp_keepidle(stream, SILENCE / 2)?;
        sockopt::set_tcp_keepintvl(stream, SILENCE / 10)?;
        sockopt::set_tcp_keepcnt(stream, 5)?;
        sockopt::set_tcp_user_timeout(stream, SILENCE.as_millis() as u32)?;
    }
    Ok(())
}

/// Returns whether the other side has closed a connection on which it has nothing to say yet.
pub(crate) fn is_closed(stream: &TcpStream) -> bool {
    let mut byte = [0];
    if stream.set_nonblocking(true).is_err() {
        return true;
    }
    let closed = match stream.peek(&mut byte) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    };
    closed || stream.set_nonblocking(false).is_err()
}
