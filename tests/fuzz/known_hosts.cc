// known_hosts: a line with what is asked, then the file; and `ssh -G`'s output.
#include "protocol/known_hosts.h"

#include "fuzz/target.h"
#include "protocol/ssh_config.h"

using namespace checkvalve;

CV_FUZZ_TARGET(known_hosts) {
  const unsigned port = input.byte() % 2 ? 22 : 2222;
  const std::string host(input.line());
  KnownHosts hosts;
  hosts.add(input.rest());
  const KnownHostVerdict verdict = hosts.judge(host, port, "ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAIA==");
  const auto types = hosts.types(host, port);
  if (verdict == KnownHostVerdict::known) fuzz::require(!types.empty(), "a known host without a type");
  parse_ssh_config(input.rest());
}
