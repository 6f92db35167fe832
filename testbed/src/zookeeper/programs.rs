use super::ZooKeeper;
use crate::launch::Launch;

/// Where Debian puts the program, and what it needs to log and to speak TLS.
const DEBIAN: &str = "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar:\
                      /usr/share/java/netty-codec.jar:/usr/share/java/netty-resolver.jar";

/// Of the user `super`: the name and the SHA-1 of `super:` and the password, in base 64.
const SUPER: &str = "super:LP2KnUF9suyHm7CDSqpcMKUtKxE=";

/// Java, small, that is quick to start and finds ZooKeeper.
pub(super) fn java() -> Launch {
    let class_path = std::env::var(ZooKeeper::CLASS_PATH).unwrap_or_else(|_| DEBIAN.to_owned());
    Launch::new("java")
        .arguments("-Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto")
        .arguments("-Dzookeeper.forceSync=no -Dzookeeper.jmx.log4j.disable=true")
        // A vote that was lost is cast again at the latest after so many milliseconds, not a
        // minute.
        .arguments("-Dzookeeper.fastleader.maxNotificationInterval=1000")
        .arguments("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
        .argument(format!(
            "-Dzookeeper.DigestAuthenticationProvider.superDigest={SUPER}"
        ))
        .argument("-cp")
        .argument(class_path)
}
