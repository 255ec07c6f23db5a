/** The languages of the pages. */
export const LOCALES = ['en', 'zh'] as const;

/** A language of the pages. */
export type Locale = (typeof LOCALES)[number];

/** What all pages say, in English. */
const EN = {
  lang: 'en',
  title: 'vcc-sync',
  nav: {
    label: 'Pages',
    overview: 'Overview',
    resync: 'Re-sync',
    rejects: 'Rejects',
    queues: 'Queues',
  },
  skip: 'Skip to content',
  language: 'Language',
  signedInAs: (name: string, role: 'viewer' | 'operator') =>
    `${name} (${role === 'operator' ? 'operator' : 'viewer'})`,
  logIn: {
    title: 'Log in',
    name: 'Name',
    password: 'Password',
    submit: 'Log in',
    wrong: 'Name or password is wrong.',
    throttled: 'Too many tries. Wait a minute.',
  },
  logOut: 'Log out',
  noLogIn:
    'No users are set: this address is served on loopback only, and whoever reaches it may write.',
  errors: {
    notFound: 'There is no such page.',
    unknown: 'Log in first.',
    throttled: 'Too many tries at a password. Wait a minute.',
    invalid: 'The request is not what this address takes.',
    forbidden: 'You may look at this, not change it.',
    refused: 'This is not done here.',
    foreign: 'The request came from another site and was refused.',
    scheme:
      'The page was read over https and asks over http, or the other way round. Behind a proxy: let it pass X-Forwarded-Proto on, and name it in WEB_TRUST_PROXY.',
    slow: 'The database did not answer in time, and was told to stop. Choose less at once, or try again later.',
    unavailable: 'The page can not be shown now.',
    back: 'Back to the overview',
  },
  chinaTime: '(China time)',
  datasets: {
    addresses: 'Addresses',
    supply_points: 'Supply points',
    subscribers: 'Subscribers',
    meters: 'Meters',
  },
  states: {
    'in step': 'in step',
    late: 'late',
    failing: 'failing',
    gap: 'gap',
    paused: 'paused',
    disabled: 'disabled',
    new: 'new',
    running: 'running',
  },
};

/** What the pages say, in one language. */
export type Messages = typeof EN;

const ZH: Messages = {
  lang: 'zh-CN',
  title: 'vcc-sync',
  nav: { label: '页面', overview: '总览', resync: '重新同步', rejects: '拒收行', queues: '队列' },
  skip: '跳到正文',
  language: '语言',
  signedInAs: (name, role) => `${name}（${role === 'operator' ? '操作员' : '只读'}）`,
  logIn: {
    title: '登录',
    name: '用户名',
    password: '密码',
    submit: '登录',
    wrong: '用户名或密码错误。',
    throttled: '尝试次数过多，请稍候一分钟。',
  },
  logOut: '退出',
  noLogIn: '未设置用户：本地址仅在本机提供服务，能访问者均可操作。',
  errors: {
    notFound: '没有这个页面。',
    unknown: '请先登录。',
    throttled: '密码尝试次数过多，请稍候一分钟。',
    invalid: '请求内容无效。',
    forbidden: '您只能查看，不能修改。',
    refused: '此处不执行该操作。',
    foreign: '该请求来自其他网站，已被拒绝。',
    scheme:
      '页面与请求的协议（https、http）不一致。若经由代理访问，请让代理转发 X-Forwarded-Proto，并在 WEB_TRUST_PROXY 中填写该代理。',
    slow: '数据库未能及时应答，查询已中止。请缩小范围，或稍后再试。',
    unavailable: '页面暂时无法显示。',
    back: '返回总览',
  },
  chinaTime: '（中国时间）',
  datasets: { addresses: '地址', supply_points: '供气点', subscribers: '气户', meters: '表具' },
  states: {
    'in step': '同步',
    late: '滞后',
    failing: '失败',
    gap: '缺口',
    paused: '已暂停',
    disabled: '已停用',
    new: '新建',
    running: '运行中',
  },
};

/** Words by language. */
export type Words<T> = Readonly<Record<Locale, T>>;

/** What all pages say, by language; each page has further words of its own. */
export const MESSAGES: Words<Messages> = { en: EN, zh: ZH };
