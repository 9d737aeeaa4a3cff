// Private keys that are converted before they are used: PuTTY's, and PKCS #8.
#include "protocol/private_key.h"

#include "fuzz/target.h"

using namespace checkvalve;

CV_FUZZ_TARGET(private_key) {
  const std::string text(input.rest());
  openssh_form(text, nullptr);
}
