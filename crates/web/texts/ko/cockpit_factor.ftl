factor = 2단계 인증
factor-lead = 2단계 인증을 켜면 비밀번호가 새어 나가도 로그인할 수 없습니다. 로그인할 때 휴대폰 앱의 코드도 입력합니다.
factor-off = 지금은 비밀번호만으로 로그인합니다.
factor-begin = 2단계 인증 설정하기
factor-later = 나중에
factor-never = 다시 묻지 않기
factor-scan = 1. 인증 앱에 이 계정을 추가해 주세요
factor-scan-text = Google Authenticator, Microsoft Authenticator, 1Password, Aegis 같은 인증 앱으로 그림을 찍어 주세요.
factor-picture = 인증 앱의 카메라로 찍는 그림
factor-open-app = 이 기기의 앱으로 열기
factor-key = 또는 앱에 이 키를 직접 입력해 주세요.
factor-confirm = 2. 앱에 보이는 코드를 입력해 주세요
factor-confirm-text = 이제부터 로그인할 때 코드가 필요합니다. 다른 기기에서는 모두 로그아웃됩니다.
factor-code = 숫자 6자리 코드
factor-confirm-submit = 켜기
factor-code-wrong-text = 앱에 지금 보이는 코드를 입력해 주세요. 그래도 맞지 않으면 휴대폰의 시각이 자동으로 맞춰지는지 확인해 주세요.
factor-wrong-password = 비밀번호가 맞지 않습니다
factor-wrong-password-text = 다시 입력해 주세요. 바뀐 것은 없습니다.
factor-on = { $since }(한국 시각)부터 쓰고 있습니다
factor-recovery-left = { $count ->
    [0] 남은 복구 코드가 없습니다. 새로 만들어 주세요.
   *[other] 복구 코드가 { $count }개 남았습니다.
}
factor-renew = 복구 코드 새로 만들기
factor-renew-text = 이전 복구 코드는 쓸 수 없게 됩니다.
factor-renew-submit = 새로 만들기
factor-remove = 끄기
factor-remove-text = 끄면 비밀번호만으로 로그인합니다.
factor-remove-submit = 2단계 인증 끄기
factor-codes = 복구 코드를 보관해 주세요
factor-codes-text = 휴대폰을 잃어버리거나 쓸 수 없을 때 하나로 한 번 로그인할 수 있습니다. 지금만 보여 드립니다. 인쇄하거나 비밀번호 관리 앱에 넣어 두세요.
factor-copy = 복사
factor-copied = 복사했습니다
factor-print = 인쇄
factor-codes-kept = 보관했습니다
factor-copy-failed = 복사하지 못했습니다. 코드를 인쇄하거나 적어 두세요.
