// Apache MINA SSHD as an SFTP server of the whole file system: java -cp JARS Mina.java PORT HOST_KEY AUTHORIZED_KEYS
import java.nio.file.Path;
import java.util.List;
import org.apache.sshd.common.keyprovider.FileKeyPairProvider;
import org.apache.sshd.server.SshServer;
import org.apache.sshd.server.config.keys.AuthorizedKeysAuthenticator;
import org.apache.sshd.sftp.server.SftpSubsystemFactory;

public class Mina {
  public static void main(String[] arguments) throws Exception {
    SshServer server = SshServer.setUpDefaultServer();
    server.setHost("127.0.0.1");
    server.setPort(Integer.parseInt(arguments[0]));
    server.setKeyPairProvider(new FileKeyPairProvider(Path.of(arguments[1])));
    server.setPublickeyAuthenticator(new AuthorizedKeysAuthenticator(Path.of(arguments[2])));
    server.setSubsystemFactories(List.of(new SftpSubsystemFactory.Builder().build()));
    server.start();
    Thread.currentThread().join();
  }
}
